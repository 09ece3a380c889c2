#!/usr/bin/env bash
# LSTM 4 x 2048 with noise-contrastive estimation on the Google Billion Words
# source: Leonard 2016, Torch blog
# departure: --split-vocabulary divides the rows of both tables among the processes; the script divides the
#   columns of the embedding, and distributes embedding, layers and output over 4 GPUs
# departure: this size was not run here; with its learning rate and Z, a 2 x 250 LSTM trains on Penn Treebank
#   without diverging
# departure: an epoch is one pass over the corpus; an epoch of the scripts has 51.2 M words, and 15.6 of those
#   make one pass
# departure: training stops after 3 epochs without a better validation perplexity; the scripts wait for 50 of
#   their epochs, which are 3.2 of ours, and compare the NCE loss on 5.12 M words
# published perplexity, valid / test:
#   trained  - / 40.61
# note: after 100 epochs of the script, which are 6.4 of ours and took 2 to 3 weeks on 4 GPUs with 12 GB each,
#   at 3,800 words/s
arch=lstm_gbw_4x2048 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
