#!/usr/bin/env bash
# the CIFG of Google's phone keyboard on your own text: give --source FILE
# source: Hard et al. 2018, arXiv:1811.03604
# departure: the training is that of the small models for your own text; the paper trains on what people type
arch=cifg_small finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
