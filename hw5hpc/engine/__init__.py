"""How anything is trained; knows no experiment."""
