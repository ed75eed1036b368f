"""The checkpoint sets of a run: ``OUTPUT/checkpoints/epoch_0003/``.

A set is written beside its place, with its manifest last, and renamed into it. A reader trusts what a
manifest vouches for; anything else is the trace of a write that was cut short.
"""

import os
import re
import shutil

from .file_set import FORMAT, MANIFEST, CheckpointSet, entry, sync, write_json

FOLDER = "checkpoints"
NAME = re.compile(r"epoch_(\d{4,})$")
# Beginnings of folders on their way in or out; what stands there when a run begins is left of a killed one.
WRITING, LEAVING = ".writing_", ".leaving_"
# What PaddleDetection's tools read of a set, under its names.
PUBLISHED = (".pdparams", ".pdema", ".pdopt")


def output_folder(cfg):
    """Where a run's files lie: ``save_dir/CONFIG``, where 'weights:' of every config looks."""
    return os.path.join(cfg.save_dir, cfg.filename)


class CheckpointFolder:
    """The sets of a run.

    Args:
        output (str): where PaddleDetection's files of the run lie; the sets are in its ``checkpoints``.
    """

    def __init__(self, output):
        self.output = output
        self.path = os.path.join(output, FOLDER)

    def sets(self):
        """Sets with a readable manifest, oldest first, and the refusals of the others."""
        found, refusals = [], []
        for name in os.listdir(self.path) if os.path.isdir(self.path) else []:
            if NAME.match(name):
                try:
                    found.append(CheckpointSet(os.path.join(self.path, name)))
                except ValueError as error:
                    refusals.append(str(error))
        return sorted(found, key=lambda one: one.epoch), sorted(refusals)

    def last_good(self):
        """The newest set that is whole, or None, and a line for each newer one that is not."""
        found, refusals = self.sets()
        for one in reversed(found):
            try:
                return one.verify(), refusals
            except ValueError as error:
                refusals.append(str(error))
        return None, refusals

    def write(self, epoch, files, facts):
        """Writes a set.

        Args:
            epoch (int): the epoch, from 0, that it is the end of.
            files (dict[str, callable]): by name; each is called with the path to write to.
            facts (dict): for the manifest.

        Returns:
            CheckpointSet: in its place. One of the same epoch that stood there is gone.

        Raises:
            OSError: no room, no right. Nothing of the new set is left then, and all older ones are.
        """
        name = f"epoch_{epoch:04d}"
        place, building = os.path.join(self.path, name), os.path.join(self.path, WRITING + name)
        shutil.rmtree(building, ignore_errors=True)
        try:
            os.makedirs(building)
            listed = {}
            for file, write in files.items():
                path = os.path.join(building, file)
                write(path)
                sync(path)
                listed[file] = entry(path)
            manifest = {"format": FORMAT, "epoch": epoch, **facts, "files": listed}
            write_json(os.path.join(building, MANIFEST), manifest)
            self._remove(place)
            os.rename(building, place)
            sync(self.path)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        return CheckpointSet(place)

    def publish(self, one, name):
        """Gives a set's files PaddleDetection's names, ``OUTPUT/NAME.pdparams`` and so on, as links."""
        for extension in PUBLISHED:
            source, target = one.file("model" + extension), os.path.join(self.output, name + extension)
            if not one.has("model" + extension):
                if os.path.exists(target):
                    os.remove(target)  # of an earlier run, and of no use beside this one's weights
                continue
            if os.path.exists(target) and os.path.samefile(source, target):
                continue
            fresh = os.path.join(self.output, f".{name}{extension}.new")
            if os.path.lexists(fresh):
                os.remove(fresh)
            try:
                os.link(source, fresh)
            except OSError:  # a file system without hard links
                shutil.copyfile(source, fresh)
            os.replace(fresh, target)
        sync(self.output)

    def withdraw(self, one):
        """Deletes a set and, of the names that it was published under, its epoch's number."""
        for extension in PUBLISHED:
            source = one.file("model" + extension)
            target = os.path.join(self.output, f"{one.epoch}{extension}")
            if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
                os.remove(target)
        self._remove(one.path)

    def retire(self, first_epoch):
        """Moves sets from an epoch on to ``checkpoints.previous``, for a run that trains these epochs anew.

        Returns:
            int: how many. If there are any, what lay in ``checkpoints.previous`` is gone.
        """
        found, _ = self.sets()
        leaving = [one for one in found if one.epoch >= first_epoch]
        if leaving:
            previous = f"{self.path}.previous"
            shutil.rmtree(previous, ignore_errors=True)
            os.makedirs(previous)
            for one in leaving:
                os.rename(one.path, os.path.join(previous, os.path.basename(one.path)))
        return len(leaving)

    def clean(self):
        """Deletes what killed writes and deletions have left."""
        for name in os.listdir(self.path) if os.path.isdir(self.path) else []:
            if name.startswith((WRITING, LEAVING)):
                shutil.rmtree(os.path.join(self.path, name), ignore_errors=True)

    def _remove(self, path):
        """Takes a set away: at once out of its place, then from the disk."""
        if not os.path.isdir(path):
            return
        leaving = os.path.join(self.path, LEAVING + os.path.basename(path))
        shutil.rmtree(leaving, ignore_errors=True)
        os.rename(path, leaving)
        shutil.rmtree(leaving, ignore_errors=True)
