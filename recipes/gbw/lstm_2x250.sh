#!/usr/bin/env bash
# LSTM 2 x 250 with noise-contrastive estimation on the Google Billion Words
# source: Leonard 2016, Torch blog, and the README of rnn
# published perplexity, valid / test:
#   trained  - / 65.6
# note: the learning rate here is 0.4 of the published 1, with which training diverged on Penn Treebank, and
#   there is no momentum (published: 0.9)
arch=lstm_gbw_2x250 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
