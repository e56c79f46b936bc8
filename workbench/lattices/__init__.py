"""Mathematics only: codes, their search, their geometry, exact sums over them."""
