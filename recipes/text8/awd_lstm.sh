#!/usr/bin/env bash
# AWD-LSTM on text8, with the sizes for enwik8; nothing was published
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
arch=awd_lstm_enwik8 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
