#!/usr/bin/env bash
# QRNN on character-level Penn Treebank
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# departure: the paper gives the layers, units and number of parameters; the README has no command line, so
#   the dropouts and the schedule are those of the LSTM
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
# published bits per character, valid / test:
#   trained  - / 1.187
arch=qrnn_ptb_char finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
