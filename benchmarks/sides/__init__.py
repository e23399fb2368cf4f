"""Each way of making five steps an account with a ledger write each; `bench_sweep.py` runs them one after the other."""
