/* SPDX-License-Identifier: Apache-2.0
 *
 * state.h - the memory a firmware library writes to: found once, copied out and back for checkpoints and power cycles.
 * ELF systems with dl_iterate_phdr only; elsewhere bh_image_find fails and everything counts 0 bytes: boot afresh.
 *
 * A copy fits the loaded library it was taken from only: it holds addresses.
 *
 * Covered: the writable load segments outside RELRO, so every global and static. Not covered: thread-local variables,
 * heap, files (the port forbids them). Address-sanitizer builds: works, the copy goes past the interceptors and the
 * poisoned zones are not part of the segments. Coverage builds: the counters lie in the segments and a copy back would
 * lose them; the loader gives no pristine image for them, so they boot afresh.
 */
#ifndef BH_STATE_H
#define BH_STATE_H

#include <stddef.h>
#include <stdint.h>

enum { BH_MAX_SEGMENTS = 8 };

typedef struct bh_segment {
    uint8_t *start;
    size_t size;
} bh_segment;

/* One loaded firmware library. */
typedef struct bh_image {
    uintptr_t base; /* load address; program counters are reported relative to it */
    uintptr_t low;  /* mapped range, high exclusive */
    uintptr_t high;
    int32_t n_segments; /* writable ones */
    bh_segment segments[BH_MAX_SEGMENTS];
    size_t size; /* bytes of all writable segments */
} bh_image;

/* Find the library that contains address. Returns 0, or < 0 and an empty image (size 0, every function below is then
 * a no-op). A few us: call it once in bh_create and keep the image in the arena. */
int bh_image_find(const void *address, bh_image *image);

/* Copy the writable memory out (image->size bytes) and back. */
void bh_image_save(const bh_image *image, uint8_t *buffer);
void bh_image_load(const bh_image *image, const uint8_t *buffer);

/* A checkpoint is the arena followed by the firmware memory. bh_state_size = arena_used + image->size when
 * config.firmware.pristine was given, else 0. Both return 0, or < 0 when the buffer is too small. */
int bh_checkpoint_save(const void *arena, size_t arena_used, const bh_image *image, uint8_t *buffer, size_t size);
int bh_checkpoint_load(void *arena, size_t arena_used, const bh_image *image, const uint8_t *buffer, size_t size);

#endif
