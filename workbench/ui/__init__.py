"""The Gradio app, one module a tab; holds no tensor code."""
