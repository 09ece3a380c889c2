#!/usr/bin/env bash
# AWD-LSTM on Penn Treebank by characters, in bpc
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# published: test 1.175
corpus=penn_char name=awd_lstm arch=awd_lstm_ptb_char
finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
