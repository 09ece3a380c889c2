#!/usr/bin/env bash
# small LSTM on Penn Treebank, 2 x 200
# source: Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329 (non-regularised)
# published: valid 120.7 test 114.5
corpus=penn name=lstm_small arch=lstm_small
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
