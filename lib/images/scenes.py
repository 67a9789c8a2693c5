"""Scenes: ten solids floating before a wall, rendered here and now, with every cause of every pixel on record.

A scene is one solid (its shape is the class), a perspective camera, a patterned wall that catches the solid's shadow,
and one distant lamp. Solids are standard signed distance functions, found by sphere tracing (Hart 1996, "Sphere
tracing: a geometric method for the antialiased ray tracing of implicit surfaces").

| factor                   | unit              | train, validation, test | shift split                   |
|--------------------------|-------------------|-------------------------|-------------------------------|
| shape                    | class             | 10 `SHAPES`             |                               |
| object_texture           | kind              | 10 `OBJECT_TEXTURES`    | test-conflict: another class's |
| object_hue               | turn              | 0 to 1                  |                               |
| object_texture_scale     | periods per radius | 1 to 1.8               |                               |
| object_texture_phase     | turn              | 0 to 1                  |                               |
| background_texture       | kind              | first 6 `BACKGROUND_TEXTURES` | test-background: last 3 |
| background_hue           | turn              | 0 to 0.75               | test-background: 0.8 to 0.95  |
| background_texture_scale | periods per radius | 0.7 to 1.2             |                               |
| background_texture_phase | turn              | 0 to 1                  |                               |
| azimuth                  | degrees           | 0 to 360                |                               |
| elevation                | degrees           | 10 to 45                | test-pose: -40 to -10         |
| roll                     | degrees           | -20 to 20               | test-pose: 40 to 80           |
| light_azimuth            | degrees           | -45 to 45               | test-light: 50 to 65          |
| light_elevation          | degrees           | 15 to 55                | test-light: -5 to 10          |
| light_hue                | turn              | 0 to 0.5                | test-light: 0.55 to 0.95      |
| light_tint               | saturation        | 0 to 0.25               | test-light: 0.3 to 0.4        |
| x, y                     | half image widths | -0.2 to 0.2             |                               |
| depth                    | object radii      | 3 to 4                  |                               |

Factors are independent and uniform over their range. `train`, `validation` and `test` are disjoint random streams;
image i of a shift split is image i of `test` with the named factors changed and all else kept, so accuracies compare
pair by pair. With `textured=True` an object of train, validation and test wears its class's texture (the i-th kind for
the i-th shape) nine times in ten, else any kind: a texture that almost gives the answer away. `test-conflict`, where
no object wears its own, then sets texture against shape; with `textured=False` it is the control.

Image i of (seed, split) has the same bits whatever batch it is rendered in: its factors are a function of its own
seed (`lib.randomness`), angles become sines once per image in float64, and per pixel there are only operations that
IEEE 754 rounds correctly (+ - * / sqrt floor min max), in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import whole
from lib.randomness import derive, uniform

PROTOCOL = 1  # raise when pixels or factors change: rows computed on older images are then stale

# ---------------------------------------------------------------------------------------------------------- solids
# Each maps coordinates x, y (up), z of any shape to the signed distance, or to a bound that never exceeds it,
# which is all that sphere tracing asks. Every solid fits in the unit ball.


def _length(first: Tensor, *others: Tensor) -> Tensor:
    square = first * first
    for other in others:
        square = square + other * other
    return square.sqrt()


def _largest(first: Tensor, *others: Tensor) -> Tensor:
    for other in others:
        first = torch.maximum(first, other)
    return first


def sphere(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return _length(x, y, z) - 0.78


def cube(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return _largest(x.abs(), y.abs(), z.abs()) - 0.56


def cylinder(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return torch.maximum(_length(x, z) - 0.55, y.abs() - 0.72)


def cone(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    side = 0.9 * _length(x, z) + 0.4358899 * (y - 0.9)  # 0.9² + 0.4359² = 1
    return torch.maximum(side, -0.62 - y)


def torus(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return _length(_length(x, z) - 0.68, y) - 0.27


def capsule(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return _length(x, y - y.clamp(-0.52, 0.52), z) - 0.42


def octahedron(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return (x.abs() + y.abs() + z.abs() - 0.95) * 0.57735026


def pyramid(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    side = 0.9 * torch.maximum(x.abs(), z.abs()) + 0.4358899 * (y - 0.8)
    return torch.maximum(side, -0.47 - y)


def cross(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    x, y, z = x.abs() - 0.26, y.abs() - 0.26, z.abs() - 0.26
    arms = _largest(x - 0.66, y, z), _largest(x, y - 0.66, z), _largest(x, y, z - 0.66)
    return torch.minimum(torch.minimum(*arms[:2]), arms[2])


def dumbbell(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    y = y.abs() - 0.52
    return torch.minimum(_length(x, y, z) - 0.43, torch.maximum(_length(x, z) - 0.15, y))


_SOLIDS = (sphere, cube, cylinder, cone, torus, capsule, octahedron, pyramid, cross, dumbbell)
SHAPES = tuple(solid.__name__ for solid in _SOLIDS)

# -------------------------------------------------------------------------------------------------------- patterns
# Each maps surface coordinates u, v, counted in periods, to True where there is ink.


def _part(u: Tensor) -> Tensor:
    """The fractional part, in [0, 1)."""
    return u - u.floor()


def _wave(u: Tensor) -> Tensor:
    """A triangle wave of period 1 between 0 and 0.5."""
    return (_part(u) - 0.5).abs()


def _blotches(u: Tensor, v: Tensor) -> Tensor:
    u, v = u + _wave(0.63 * v), v + _wave(0.71 * u)
    return _wave(0.7 * u + 0.2 * v) + _wave(0.5 * v - 0.43 * u) + _wave(0.31 * u + 0.67 * v) < 0.7


def _weave(u: Tensor, v: Tensor) -> Tensor:
    return torch.where((_part(u / 2) < 0.5) ^ (_part(v / 2) < 0.5), _part(2 * u) < 0.5, _part(2 * v) < 0.5)


_PATTERNS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "plain": lambda u, v: u > math.inf,
    "stripes across": lambda u, v: _part(v) < 0.5,
    "stripes down": lambda u, v: _part(u) < 0.5,
    "stripes aslant": lambda u, v: _part((u + v) * 0.7) < 0.5,
    "checker": lambda u, v: (_part(u) < 0.5) ^ (_part(v) < 0.5),
    "dots": lambda u, v: _length(_wave(u), _wave(v)) < 0.32,
    "rings": lambda u, v: _wave(3 * _length(_part(u / 3) - 0.5, _part(v / 3) - 0.5)) < 0.25,
    "grid": lambda u, v: torch.minimum(_part(u), _part(v)) < 0.25,
    "zigzag": lambda u, v: _part(v + _wave(0.7 * u)) < 0.5,
    "blotches": _blotches,
    "bricks": lambda u, v: torch.minimum(_part(u / 2 + v.floor() / 2), _part(v) / 2) < 0.1,
    "weave": _weave,
    "triangles": lambda u, v: _part(u) + _part(v) < 1,
}
OBJECT_TEXTURES = tuple(_PATTERNS)[:10]
BACKGROUND_TEXTURES = ("plain", "stripes across", "stripes down", "checker", "dots", "blotches",
                       "bricks", "weave", "triangles")  # fmt: skip

# --------------------------------------------------------------------------------------------------------- factors


@dataclass(frozen=True)
class Factor:
    """What varies from image to image: uniform on [low, high), or on `shifted` in its shift split."""

    unit: str
    low: float
    high: float
    shifted: tuple[float, float] | None = None
    circular: bool = False

    @property
    def whole(self) -> bool:
        """Classes and kinds are whole numbers; all else is real."""
        return self.unit in ("class", "kind")


FACTORS = {
    "shape": Factor("class", 0, 10),
    "object_texture": Factor("kind", 0, 10),
    "object_hue": Factor("turn", 0, 1, circular=True),
    "object_texture_scale": Factor("periods per radius", 1, 1.8),
    "object_texture_phase": Factor("turn", 0, 1, circular=True),
    "background_texture": Factor("kind", 0, 6, shifted=(6, 9)),
    "background_hue": Factor("turn", 0, 0.75, shifted=(0.8, 0.95), circular=True),
    "background_texture_scale": Factor("periods per radius", 0.7, 1.2),
    "background_texture_phase": Factor("turn", 0, 1, circular=True),
    "azimuth": Factor("degrees", 0, 360, circular=True),
    "elevation": Factor("degrees", 10, 45, shifted=(-40, -10)),
    "roll": Factor("degrees", -20, 20, shifted=(40, 80), circular=True),
    "light_azimuth": Factor("degrees", -45, 45, shifted=(50, 65), circular=True),
    "light_elevation": Factor("degrees", 15, 55, shifted=(-5, 10)),
    "light_hue": Factor("turn", 0, 0.5, shifted=(0.55, 0.95), circular=True),
    "light_tint": Factor("saturation", 0, 0.25, shifted=(0.3, 0.4)),
    "x": Factor("half image widths", -0.2, 0.2),
    "y": Factor("half image widths", -0.2, 0.2),
    "depth": Factor("object radii", 3.0, 4.0),
}
SHIFTS = {
    "test-background": ("background_texture", "background_hue"),
    "test-conflict": ("object_texture",),
    "test-light": ("light_azimuth", "light_elevation", "light_hue", "light_tint"),
    "test-pose": ("elevation", "roll"),
}
SPLITS = ("train", "validation", "test", *SHIFTS)


def draw_factors(
    count: int, seed: int = 0, split: str = "train", start: int = 0, textured: bool = False
) -> dict[str, Tensor]:
    """The factors of images start..start+count-1 of (seed, split): name to (count,) float32, or int64 for kinds."""
    one_of(split, SPLITS, "split")
    if count < 0 or start < 0:
        raise BadInput(f"count and start must be 0 or more, not {count} and {start}")
    stream = SPLITS.index("test" if split in SHIFTS else split)
    seeds = derive(8 * seed + stream, torch.arange(start, start + count))
    *chances, last = uniform(seeds, (len(FACTORS) + 1,)).double().unbind(1)
    drawn = {}
    for chance, (name, factor) in zip(chances, FACTORS.items(), strict=True):
        low, high = factor.shifted if name in SHIFTS.get(split, ()) and factor.shifted else (factor.low, factor.high)
        value = low + (high - low) * chance
        drawn[name] = value.floor().long() if factor.whole else value.float()
    if split == "test-conflict":  # the texture of one of the nine other classes
        drawn["object_texture"] = (drawn["shape"] + 1 + (9 * last).long()) % 10
    elif textured:
        drawn["object_texture"] = torch.where(last < 0.9, drawn["shape"], drawn["object_texture"])
    return drawn


# --------------------------------------------------------------------------------------------------------- optics
# A vector is a (3, images, samples) tensor, or a tuple of three that broadcast. The camera sits at the origin and
# looks along +z, x to the right, y up.

_VIEW = 0.4  # tangent of half the camera's field of view: 44 degrees in all
_WALL = 7.0  # distance of the wall from the camera, in object radii
_TOUCH = 1e-3  # a ray this near to the surface has met it
_AMBIENT, _DIFFUSE, _SHINE = 0.3, 0.8, 0.3  # shares of light from everywhere, from the lamp, and mirrored
_OBJECT_PAINT = 0.85, 0.2, 0.6  # brightness of the paper and of the ink, saturation of both
_WALL_PAINT = 0.5, 0.4, 0.15
_CHUNK = 1 << 16  # rays at a time: their tensors stay in the cache

Vector = tuple[Tensor, Tensor, Tensor] | Tensor
Turn = tuple[Tensor, Tensor]  # cosine and sine


def _dot(a: Vector, b: Vector) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]  # written out: a reduction's order may depend on the batch


def _turn(degrees: Tensor) -> Turn:
    """Cosine and sine, (images, 1) float32, by the C library: vectorised ones may differ at the end of a batch."""
    angles = [math.radians(angle) for angle in degrees.tolist()]
    cosine, sine = (torch.tensor([f(angle) for angle in angles])[:, None] for f in (math.cos, math.sin))
    return cosine, sine


def _into_object(vector: Vector, pose: Tensor) -> Vector:
    """A direction of the world as the turned object sees it; pose (6, M, 1): cosine and sine of each turn."""

    def rotate(a: Tensor, b: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
        return a * cosine + b * sine, b * cosine - a * sine

    x, y, z = vector
    x, y = rotate(x, y, *pose[4:6])  # roll
    z, y = rotate(z, y, *pose[2:4])  # elevation
    x, z = rotate(x, z, *pose[0:2])  # azimuth
    return x, y, z


def _colour(hue: Tensor, saturation: Tensor | float) -> Tensor:
    """HSV colour of value 1: (images,) to (3, images, 1)."""
    wheel = hue.double() * 6 + torch.tensor([[0.0], [4.0], [2.0]])
    pure = ((wheel % 6 - 3).abs() - 1).clamp(0, 1)
    return (1 - saturation + saturation * pure).float()[:, :, None]


def _camera_rays(size: int) -> Tensor:
    """Unit directions (3, 4 * size²): four rays per pixel, in four layers of whole images."""
    centre = (torch.arange(size, dtype=torch.float64) + 0.5) * 2 / size - 1
    layers = []
    for right, down in ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)):  # in half pixels
        v, u = torch.meshgrid(-(centre + down / size), centre + right / size, indexing="ij")
        layers.append(torch.stack((u * _VIEW, v * _VIEW, torch.ones_like(u))).flatten(1))
    rays = torch.cat(layers, dim=1)
    return (rays / _length(*rays)).float()


def _march(solid: Callable, origin: Tensor, ray: Tensor, travelled: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Walk each ray (3, K) by its distance to the surface until it touches: how far (K,), and whether it did (K,)."""
    walking = torch.arange(len(limit), device=limit.device)
    touched = torch.zeros_like(limit, dtype=torch.bool)
    for steps in (5, 5, 10, 40):  # most rays are done early: carry on with the others only
        start, along, t = origin[:, walking], ray[:, walking], travelled[walking]
        for _ in range(steps):
            gap = solid(*(start + t * along))
            t = t + gap
        travelled[walking], touched[walking] = t, gap < _TOUCH
        walking = walking[(gap >= _TOUCH) & (t < limit[walking])]
    return travelled, touched


def _trace(solid: Callable, origin: Vector, ray: Vector) -> tuple[Tensor, Tensor, Tensor]:
    """Image and sample (K,) of the rays that meet the solid, and where (3, K), all seen by the object."""
    middle = -_dot(origin, ray)
    inside = middle * middle - _dot(origin, origin) + 1  # positive: the ray pierces the unit ball
    image, sample = (inside > 0).nonzero(as_tuple=True)
    middle, half = middle[image, sample], inside[image, sample].sqrt()
    origin, ray = (torch.stack([part.expand_as(inside)[image, sample] for part in vector]) for vector in (origin, ray))
    travelled, touched = _march(solid, origin, ray, middle - half, middle + half)
    point = origin + travelled * ray
    return image[touched], sample[touched], point[:, touched]


def _normal(solid: Callable, point: Tensor) -> Tensor:
    """Unit normals (3, K): the gradient of the distance from its values at a tetrahedron's corners."""
    x, y, z = point
    h = 2.0**-7
    corners = ((h, h, h), (h, -h, -h), (-h, h, -h), (-h, -h, h))
    a, b, c, d = (solid(x + i, y + j, z + k) for i, j, k in corners)
    slope = torch.stack(((a + b) - (c + d), (a + c) - (b + d), (a + d) - (b + c)))
    return slope / _length(*slope)


# ------------------------------------------------------------------------------------------------------- images


@dataclass(frozen=True)
class Scenes:
    """Images with their causes."""

    images: Tensor  # (N, 3, S, S) uint8
    masks: Tensor  # (N, S, S) bool: at least half of the pixel shows the object
    factors: dict[str, Tensor]  # name to (N,), see FACTORS

    @property
    def labels(self) -> Tensor:
        """(N,) int64: an index into SHAPES."""
        return self.factors["shape"]


def _unfold(point: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    """Surface coordinates (K,), (K,): each point seen along the axis that its normal is nearest to."""
    x, y, z = point
    a, b, c = normal.abs()
    side = a * 1.1 > c  # the uneven weights keep slanted faces, whose normals tie, in one piece
    top = b * 0.85 > torch.maximum(a, c)
    return torch.where(side & ~top, z, x), torch.where(top, z, y)


def _coat(f: dict[str, Tensor], what: str, kinds: tuple[str, ...], paper: float, ink: float, purity: float) -> Tensor:
    """How a surface is painted, (9, N, 1): pattern, scale, phase, colour of the paper (3) and of the ink (3)."""
    number = torch.tensor([list(_PATTERNS).index(kind) for kind in kinds])[f[f"{what}_texture"]]
    colour = _colour(f[f"{what}_hue"], purity) * _colour(f["light_hue"], f["light_tint"].double())
    pattern = torch.stack((number.float(), f[f"{what}_texture_scale"], f[f"{what}_texture_phase"]))
    return torch.cat((pattern[:, :, None], paper * colour, ink * colour))


def _paint(u: Tensor, v: Tensor, coat: Tensor) -> Tensor:
    """Colour (3, M, P) of a wall or (3, K) of surface points at u, v."""
    number, scale, phase, *colours = coat
    u, v = u * scale + 13 * phase, v * scale + 17 * phase
    inked = torch.zeros_like(u, dtype=torch.bool)
    for kind in number.unique().long().tolist():
        chosen = number.flatten() == kind
        inked[chosen] = tuple(_PATTERNS.values())[kind](u[chosen], v[chosen])
    return torch.where(inked, coat[6:], coat[3:6])


def _prepare(f: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the rays of each image need to know: entries (.., N, 1)."""
    (across, forth), (level, up) = _turn(f["light_azimuth"])[::-1], _turn(f["light_elevation"])
    return {
        "pose": torch.stack([part for name in ("azimuth", "elevation", "roll") for part in _turn(f[name])]),
        "centre": torch.stack((f["x"] * f["depth"] * _VIEW, f["y"] * f["depth"] * _VIEW, f["depth"]))[:, :, None],
        "lamp": torch.stack((across * level, up, -forth * level)),
        "glow": _colour(f["light_hue"], f["light_tint"].double()),
        "object": _coat(f, "object", OBJECT_TEXTURES, *_OBJECT_PAINT),
        "background": _coat(f, "background", BACKGROUND_TEXTURES, *_WALL_PAINT),
    }


def _wall(solid: Callable, scene: dict[str, Tensor], wall: Tensor) -> Tensor:
    """Linear light (3, M, P) from the points (3, 1, P) of the wall, in the solid's shadow or out of it."""
    lamp = _into_object(scene["lamp"], scene["pose"])
    image, sample, _ = _trace(solid, _into_object(wall - scene["centre"], scene["pose"]), lamp)
    light = (_AMBIENT + _DIFFUSE * (-scene["lamp"][2]).clamp(min=0)).repeat(1, wall.shape[2])
    light[image, sample] = _AMBIENT
    return _paint(wall[0], wall[1], scene["background"]) * light


def _surface(solid: Callable, scene: dict, image: Tensor, sample: Tensor, point: Tensor, ray: Tensor) -> Tensor:
    """Linear light (3, K) from points of the solid: Lambert, ambient and a highlight (Blinn and Phong)."""
    lamp, eye = torch.stack(_into_object(scene["lamp"], scene["pose"]))[:, image, 0], -ray
    normal = _normal(solid, point)
    halfway = lamp + eye
    shine = _dot(normal, halfway / _length(*halfway)).clamp(min=0)
    for _ in range(5):  # to the power of 32
        shine = shine * shine
    colour = _paint(*_unfold(point, normal), scene["object"][:, image, 0])
    light = _AMBIENT * (0.5 + 0.5 * _dot(normal, eye)) + _DIFFUSE * _dot(normal, lamp).clamp(min=0)
    return colour * light + _SHINE * shine * scene["glow"][:, image, 0]


def _draw(solid: Callable, scene: dict[str, Tensor], rays: Tensor) -> tuple[Tensor, Tensor]:
    """Linear light (3, M, P) and hits (M, P)."""
    rays = rays[:, None]
    canvas = _wall(solid, scene, rays * (_WALL / rays[2]))
    eye, ray = (torch.stack(_into_object(v, scene["pose"])) for v in (-scene["centre"], rays))
    image, sample, point = _trace(solid, eye, ray)
    hit = torch.zeros_like(canvas[0], dtype=torch.bool)
    hit[image, sample] = True
    canvas[:, image, sample] = _surface(solid, scene, image, sample, point, ray[:, image, sample])
    return canvas, hit


def render_factors(factors: dict[str, Tensor], size: int = 32, device: torch.device | str = "cpu") -> Scenes:
    """Images of `size` pixels with exactly these factors: name to (N,), all of `FACTORS`.

    The way to vary one factor and hold the others: draw, overwrite, render.
    """
    size = whole(size, "the side of a scene in pixels", 16)
    for name in FACTORS:
        if name not in factors:
            raise BadInput(f"a scene needs the factor {name!r}; the factors are: {', '.join(FACTORS)}")
    count = len(factors["shape"])
    images = torch.empty(count, 3, size, size, dtype=torch.uint8, device=device)
    masks = torch.empty(count, size, size, dtype=torch.bool, device=device)
    scene = {name: entry.to(device) for name, entry in _prepare(factors).items()}
    rays = _camera_rays(size).to(device)
    per_chunk = max(1, _CHUNK // rays.shape[1])
    for number, solid in enumerate(_SOLIDS):
        for members in (factors["shape"] == number).nonzero().squeeze(1).to(device).split(per_chunk):
            light, hit = _draw(solid, {k: v[:, members] for k, v in scene.items()}, rays)
            a, b, c, d = light.unflatten(2, (4, size, size)).unbind(2)
            pixel = (((a + b) + (c + d)) * 0.25).clamp(0, 1).sqrt()  # light adds up linearly, screens want its root
            images[members] = (pixel * 255 + 0.5).to(torch.uint8).transpose(0, 1)
            masks[members] = hit.unflatten(1, (4, size, size)).sum(1) >= 2
    return Scenes(images, masks, factors)


def render(
    count: int,
    seed: int = 0,
    split: str = "train",
    size: int = 32,
    start: int = 0,
    textured: bool = False,
    device: torch.device | str = "cpu",
) -> Scenes:
    """Images start..start+count-1 of (seed, split); the module's docstring tells the splits apart."""
    return render_factors(draw_factors(count, seed, split, start, textured), size, device)
