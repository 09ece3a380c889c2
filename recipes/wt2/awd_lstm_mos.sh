#!/usr/bin/env bash
# AWD-LSTM with a mixture of 15 softmaxes on WikiText-2
# source: Yang et al. 2018, arXiv:1711.03953; the README of mos
# departure: validation during training reads as many streams as training; the published code reads 10
# departure: all 15 streams share one mask of weights and one of words; the published code draws new masks for
#   every 5 streams (--small_batch_size 5)
# published perplexity, valid / test:
#   trained               66.01 / 63.33
#   fine-tuned            63.88 / 61.45
#   fine-tuned + dynamic  42.41 / 40.68
arch=awd_lstm_mos_wt2 finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 3.09e-5 --dynamic-decay 1.2e-3 --dynamic-epsilon 3.1e-5 --dynamic-batches 0 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
