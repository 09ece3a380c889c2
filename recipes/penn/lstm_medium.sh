#!/usr/bin/env bash
# medium LSTM on Penn Treebank, 2 x 650
# source: Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329
# published: valid 86.2 test 82.7
corpus=penn name=lstm_medium arch=lstm_medium
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
