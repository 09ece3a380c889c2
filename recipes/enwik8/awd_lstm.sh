#!/usr/bin/env bash
# AWD-LSTM on the bytes of enwik8, the first 100 MB of Wikipedia
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
# published bits per character, valid / test:
#   trained  - / 1.232
arch=awd_lstm_enwik8 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
