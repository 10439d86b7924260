"""``python -m bench.kernels``: print the tables of docs/kernels.md."""

from bench.kernels.tables import read_kernels, tables

if __name__ == "__main__":
    print(tables(read_kernels()))
