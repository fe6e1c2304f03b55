"""A network's answers on pairs of pictures, put together per picture and per clip (MASt3R-SfM, Duisterhof 2024)."""
