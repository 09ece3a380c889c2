#!/usr/bin/env bash
# QRNN on Penn Treebank by characters
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# departure: the paper gives layers, units and parameters; the README has no command line, so dropouts and
#   schedule are those of the LSTM
# departure: windows of at most 20 tokens above the mean; main.py has no limit (3 draws in 100,000 exceed it)
# departure: validation within training reads as many streams as training; the published code reads 10
# published bits per character, valid / test:
#   trained  - / 1.187
arch=qrnn_ptb_char finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
