"""How Plaudit is run: on one machine (`local`), and in a cluster."""
