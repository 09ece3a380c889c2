#!/usr/bin/env bash
# AWD-LSTM on WikiText-2
# source: Merity, Keskar and Socher 2017, arXiv:1708.02182; the README of its code; dynamic: Krause et al. 2018, arXiv:1709.07432
# published: valid 68.7 test 65.6 | finetuned valid 67.4 test 64.7 | cache valid 52.2 test 50.6 | dynamic valid 46.4 test 44.3
corpus=wikitext2 name=awd_lstm arch=awd_lstm_wt2
finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
