"""Networks: tokenizer, generator, heads, discriminator, and their weights."""
