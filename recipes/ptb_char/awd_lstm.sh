#!/usr/bin/env bash
# AWD-LSTM on Penn Treebank by characters
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# published bits per character, valid / test:
#   trained  - / 1.175
arch=awd_lstm_ptb_char finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
