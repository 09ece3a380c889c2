#!/usr/bin/env bash
# QRNN on the first 100 MB of Wikipedia by bytes, with the training of the LSTM
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# departure: the README has no command line for this QRNN: four layers as on words and 1,800 units are a
#   choice of this repository, which was not compared with the paper's table; dropouts and schedule are those
#   of the LSTM
# departure: windows of at most 20 tokens above the mean; main.py has no limit (3 draws in 100,000 exceed it)
# departure: validation within training reads as many streams as training; the published code reads 10
arch=qrnn_enwik8 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
