"""Optimisers: AdamW, Muon, Dion and Lion."""
