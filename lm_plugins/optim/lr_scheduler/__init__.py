"""Learning-rate schedules that fairseq lacks. What its `fixed` has: a rate for each epoch (--lr A,B,C),
and a constant rate that shrinks by a factor each epoch from --force-anneal on (Zaremba, the thesis)."""
