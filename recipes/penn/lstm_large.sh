#!/usr/bin/env bash
# large LSTM on Penn Treebank, 2 x 1500
# source: Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329
# published: valid 82.2 test 78.4
corpus=penn name=lstm_large arch=lstm_large
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
