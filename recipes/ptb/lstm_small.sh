#!/usr/bin/env bash
# small LSTM on Penn Treebank, 2 x 200, without dropout
# source: Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329; the TensorFlow tutorial on recurrent networks
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# departure: the learning rate first decays when it does in the paper and the TensorFlow tutorial; Zaremba's
#   Lua code decays it an epoch later
# published perplexity, valid / test:
#   trained  120.7 / 114.5
arch=lstm_small finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
