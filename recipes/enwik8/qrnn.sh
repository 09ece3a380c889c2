#!/usr/bin/env bash
# QRNN on the first 100 MB of Wikipedia by bytes, with the training of the LSTM
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
arch=qrnn_enwik8 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
