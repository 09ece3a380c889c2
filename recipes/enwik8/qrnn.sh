#!/usr/bin/env bash
# QRNN on the bytes of enwik8, the first 100 MB of Wikipedia, trained like the LSTM
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# departure: the README has no command line for this QRNN; four layers, as for words, and 1,800 units are a
#   choice of this repository, which was not compared with the paper's table; the dropouts and the schedule
#   are those of the LSTM
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
arch=qrnn_enwik8 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
