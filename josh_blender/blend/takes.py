"""Whose keys: a new take replaces the take of an earlier import, and comes beside keys that the artist edited."""

from __future__ import annotations

import bpy
import numpy as np

from .animation import Channel, assign_action, channelbag, is_edited, is_written, write_action
from .identity import KIND_KEY, PERSON_KEY, SCENE_KEY

#: On an owner: it has been given a take (it may have lost it since).
_TAKEN_KEY = "josh4d_take"
#: On an action: whose take it is.
_OWNER_KEY = "josh4d_take_of"
#: On an owner: the action with the new take that the artist has not chosen or dismissed yet.
_BESIDE_KEY = "josh4d_new_take"


def _key(owner: bpy.types.ID) -> str:
    return f"{owner.get(SCENE_KEY)}|{owner.get(KIND_KEY)}|{owner.get(PERSON_KEY)}|{owner.id_type}"


def _strips(owner: bpy.types.ID) -> list[bpy.types.NlaStrip]:
    data = owner.animation_data
    return [strip for track in data.nla_tracks for strip in track.strips] if data is not None else []


def current_take(owner: bpy.types.ID) -> bpy.types.Action | None:
    """The take in use, as the action or in a strip of the NLA; None where the artist uses other actions."""
    data = owner.animation_data
    used = [data.action if data is not None else None, *(strip.action for strip in _strips(owner))]
    return next(
        (one for one in used if one is not None and is_written(one) and one.get(_OWNER_KEY) == _key(owner)), None
    )


def animate(owner: bpy.types.ID, name: str, frames: np.ndarray, channels: list[Channel]) -> bool:
    """Give an owner its take; returns False where the artist's keys stayed in use.

    The action that an earlier import wrote is rewritten in place, in the NLA too. Where the artist edited it, or uses
    other actions, those stay and the new take comes beside them, kept by a fake user and not assigned (`new_take`).
    """
    data = owner.animation_data
    take = current_take(owner)
    free = data is None or (data.action is None and not _strips(owner))
    if take is None and free and _TAKEN_KEY not in owner:
        take = bpy.data.actions.new(name)
        take[_OWNER_KEY] = _key(owner)
        write_action(take, owner, frames, channels)
        assign_action(take, owner)
        owner[_TAKEN_KEY] = True
        return True
    if take is not None and not is_edited(take, owner):
        write_action(take, owner, frames, channels)
        dismiss_new_take(owner)
        return True
    beside = new_take(owner)
    if beside is None or is_edited(beside, owner):
        beside = bpy.data.actions.new(name)
        beside[_OWNER_KEY] = _key(owner)
        beside.use_fake_user = True
        owner[_BESIDE_KEY] = beside
    write_action(beside, owner, frames, channels)
    return False


def new_take(owner: bpy.types.ID) -> bpy.types.Action | None:
    """The take of a later import that waits beside the artist's keys."""
    action: bpy.types.Action | None = owner.get(_BESIDE_KEY)
    return action


def use_new_take(owner: bpy.types.ID) -> None:
    """Put the new take where the old one was, as the action or in the NLA; the old one is kept by a fake user."""
    fresh, old = new_take(owner), current_take(owner)
    if fresh is None:
        return
    del owner[_BESIDE_KEY]
    data = owner.animation_data
    strips = [strip for strip in _strips(owner) if old is not None and strip.action == old]
    for strip in strips:
        strip.action = fresh
        strip.action_slot = channelbag(fresh, owner).slot
    if not strips:
        if data is not None and data.action is not None:
            data.action.use_fake_user = True
        assign_action(fresh, owner)
    if old is not None:
        old.use_fake_user = True
    fresh.use_fake_user = False


def dismiss_new_take(owner: bpy.types.ID) -> None:
    """Stay with the artist's keys: the new take goes, unless the artist has put it to use or edited it."""
    fresh = new_take(owner)
    if fresh is None:
        return
    del owner[_BESIDE_KEY]
    edited = is_edited(fresh, owner)
    if not edited and fresh.users == int(fresh.use_fake_user):
        bpy.data.actions.remove(fresh)
