#!/usr/bin/env bash
# AWD-LSTM on Penn Treebank
# source: Merity, Keskar and Socher 2017, arXiv:1708.02182; the README of its code; dynamic: Krause et al. 2018, arXiv:1709.07432
# published: valid 61.2 test 58.8 | finetuned valid 58.8 test 56.5 | cache valid 53.2 test 52.5 | dynamic valid 51.6 test 51.1
corpus=penn name=awd_lstm arch=awd_lstm_ptb
finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
