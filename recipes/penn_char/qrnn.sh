#!/usr/bin/env bash
# six QRNN layers on Penn Treebank by characters, in bpc
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# published: test 1.187
corpus=penn_char name=qrnn arch=qrnn_ptb_char
finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
