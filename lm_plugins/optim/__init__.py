"""Optimizers and learning-rate schedules that the published recipes need and fairseq lacks."""
