#!/usr/bin/env bash
# LSTM 2 x 250 with noise-contrastive estimation on the Google Billion Words
# source: Leonard 2016, Torch blog, and the README of rnn
# departure: no momentum (published: 0.9, with a dampening of 0.9), because it would make sparse gradients
#   dense; without it, on Penn Treebank, the loss rises in the first 10 updates and has recovered after 30
# departure: an epoch is one pass over the corpus; an epoch of the scripts has 51.2 M words, and 15.6 of those
#   make one pass
# departure: training stops after 3 epochs without a better validation perplexity; the scripts wait for 50 of
#   their epochs, which are 3.2 of ours, and compare the NCE loss on 5.12 M words
# published perplexity, valid / test:
#   trained  - / 65.6
# note: after 321 epochs of the script, which are 20.6 of ours; the recipe trains for 20
arch=lstm_gbw_2x250 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
