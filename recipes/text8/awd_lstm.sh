#!/usr/bin/env bash
# AWD-LSTM on text8, with the sizes for enwik8; no result was published
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
arch=awd_lstm_enwik8 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
