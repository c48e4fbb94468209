/** Labels of image records that mean something to Gantry. */

/**
 * Which snapshotter the image's containers get when they name none; `gctr images pull --snapshotter` and `gctr snapshots
 * move` set it. It comes before the namespace's default (`containerd.io/defaults/snapshotter`) and the daemon's.
 */
export const snapshotterLabel = 'gantry.io/snapshotter'
