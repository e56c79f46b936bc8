"""What the nursery imports before its first child: everything, with the lazy parts of torch touched."""

from importlib import import_module

import torch
import toy_task

torch.set_num_threads(1)
optimizer = torch.optim.AdamW(toy_task.ToyTask().net.parameters())
for parameter in optimizer.param_groups[0]["params"]:
    parameter.grad = torch.zeros_like(parameter)  # no backward pass here: autograd refuses to be forked after one
optimizer.step()
import_module("training.tokenizer")
import_module("workbench.fit.tokenizer.launch")
