"""What a method compares across a batch, it compares in functions of its module, and nowhere else.

Where several processes share a batch, these functions have to see the vectors of all of them. The networks pass their
input on, so that batch norm, which shares statistics, takes no part.
"""

import pytest
import torch
from test_losses import (
    BARLOW,
    BYOL,
    DECOUPLED,
    DINO,
    EMP_SSL,
    MOCO_V2,
    MOCO_V3,
    NNCLR,
    RELIC,
    SIMCLR,
    SIMSIAM,
    SUP_CON,
    SUPERVISED,
    SWAV,
    TEMPERATURE,
    VICREG,
    WIDTH,
    PassOn,
    bare,
    classes,
    normal,
)

from lib.methods import (
    acl,
    barlow_twins,
    dcl,
    deacl,
    dino,
    emp_ssl,
    moco_v3,
    nnclr,
    relic,
    relicv2,
    simclr,
    supcon,
    swav,
    trades,
    vicreg,
)

HEADS = dict(hidden=4, projection=WIDTH)
RELICV2 = bare(relicv2.ReLICv2, relicv2.Settings(temperature=TEMPERATURE, small=1, **HEADS))
ACL = bare(acl.ACL, simclr.Settings(TEMPERATURE, **HEADS))
DEACL = bare(deacl.DeACL, deacl.Settings(), PassOn())
TRADES = bare(trades.TRADES, trades.Settings(), WIDTH)
# By name in `METHODS`: the method, how many views it is shown, and its functions that compare images of a batch.
CASES = {
    "simclr": (SIMCLR, 2, [(simclr, "nt_xent")]),
    "dcl": (DECOUPLED, 2, [(dcl, "dcl")]),
    "moco_v2": (MOCO_V2, 2, []),  # its negatives are of earlier batches
    "moco_v3": (MOCO_V3, 2, [(moco_v3, "batch_contrast")]),
    "nnclr": (NNCLR, 2, [(nnclr, "contrast")]),
    "byol": (BYOL, 2, []),
    "simsiam": (SIMSIAM, 2, []),
    "dino": (DINO, 3, [(dino, "mean_output")]),
    "barlow_twins": (BARLOW, 2, [(barlow_twins, "correlation_terms")]),
    "vicreg": (VICREG, 2, [(vicreg, "flatness"), (vicreg, "covariance")]),
    "swav": (SWAV, 3, [(swav, "sinkhorn")]),
    "emp_ssl": (EMP_SSL, 3, [(emp_ssl, "coding_rate")]),
    "relic": (RELIC, 2, [(relic, "relic")]),
    "relicv2": (RELICV2, 3, [(relicv2, "relicv2")]),
    "supervised": (SUPERVISED, 1, []),
    "supcon": (SUP_CON, 2, [(supcon, "sup_con")]),
    "acl": (ACL, 2, [(acl, "nt_xent")]),
    "deacl": (DEACL, 1, []),
    "trades": (TRADES, 1, []),
}


def slopes(method, views):
    """The gradient of the loss in each image of each view, (images, ...), and what the method keeps of the batch."""
    views = [view.clone().requires_grad_() for view in views]
    clean = [view.detach() + 0.1 for view in views]
    given = (views, *((clean,) if getattr(method, "needs_attack", False) else ()))
    terms = method(*given, *((classes(views[0]),) if method.uses_labels else ()))
    found = torch.autograd.grad(sum(terms.values()) + 0 * sum(view.sum() for view in views), views)
    return torch.stack(found, dim=1), getattr(method, "newest", None)


def frozen(monkeypatch, places, method, views):
    """From now on these functions say of every batch what they say of this one."""
    said = []
    with monkeypatch.context() as patch:
        for module, name in places:
            true = getattr(module, name)
            patch.setattr(module, name, lambda *given, true=true: said.append(true(*given)) or said[-1])
        slopes(method, views)
    assert len(said) >= len(places)
    again = iter(said * 2)
    for module, name in places:
        monkeypatch.setattr(module, name, lambda *_: detached(next(again)))


def detached(result):
    return tuple(part.detach() for part in result) if isinstance(result, tuple) else result.detach()


@pytest.mark.parametrize("name", CASES)
def test_images_meet_in_these_functions_alone(name, monkeypatch):
    method, count, places = CASES[name]
    views = [normal(6, WIDTH, seed=seed).float() for seed in range(count)]
    others = [torch.cat((view[:-1], -view[-1:] + 0.5)) for view in views]  # one other image
    (first, kept), (second, changed) = (slopes(method, some) for some in (views, others))
    meets = not torch.allclose(first[:-1], second[:-1], atol=1e-6)
    meets |= name == "dino" and not torch.allclose(kept, changed)  # by its centre, in the next step
    assert meets == bool(places)
    frozen(monkeypatch, places, method, views)
    (first, kept), (second, changed) = (slopes(method, some) for some in (views, others))
    assert torch.allclose(first[:-1], second[:-1], atol=1e-6)
    assert name != "dino" or torch.equal(kept, changed)
