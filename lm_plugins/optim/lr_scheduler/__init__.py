"""Learning-rate schedules that fairseq lacks.

fairseq's `fixed` has a rate for each epoch (--lr A,B,C), and a constant rate that is multiplied by a factor
in each epoch from --force-anneal on (Zaremba et al. 2014, Zhang 2018).
"""
