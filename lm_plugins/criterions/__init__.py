"""Training losses: functions of the model and a batch, without parameters of their own."""
