#!/usr/bin/env bash
# LSTM 3 x 1024 on WikiText-103
# source: OpenSeq2Seq: its documentation and its configuration lstm-wkt103-mixed
# departure: the embedding has the 400 units of the documentation; the configuration has 320
# departure: embedding dropout drops words; OpenSeq2Seq drops entries of the table
# departure: the layer normalisation has an epsilon of 1e-5 (there: 1e-12), trains the forget bias, and
#   initialises its shifts like biases (there: 0), because with shifts of 0 the first gradients of a window
#   whose words were all dropped overflow
# departure: Adam adds its epsilon after the bias correction; TensorFlow adds it before
# departure: the whole epoch is shuffled, and no token is skipped; OpenSeq2Seq shuffles within a buffer of
#   25,000 windows and skips up to 95 tokens at the start of an epoch
# departure: training stops after 10 validations without an improvement; OpenSeq2Seq's training, of at most
#   1,500 epochs, was ended by hand after 36 and 72 hours
# departure: training is in float32; the configuration uses mixed precision, to which --fp16 is closest
# departure: the tokens are those of the corpus; OpenSeq2Seq tokenises the raw text itself
# published perplexity, valid / test:
#   trained  48.6 / -
# note: on the validation text in OpenSeq2Seq's tokens, with each window of 96 tokens scored from a zero
#   state, after 72 hours on 4 GPUs (51 after 36 hours); the recipe's evaluations carry the state, and
#   fairseq-eval-lm --independent-windows --tokens-per-sample 96 scores as published
arch=lstm_wt103 finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
