/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - finds and copies the memory a firmware library writes to.
 */
#define _GNU_SOURCE

#include "state.h"

#include <string.h>

#include "kernel.h"

#if defined(__ELF__) && defined(__linux__)

#include <link.h>
#include <unistd.h>

/* Present only in a process that runs under the address sanitizer. */
extern void __asan_init(void) __attribute__((weak));

typedef struct bh_search {
    uintptr_t address;
    bh_image *image;
} bh_search;

static int contains(const struct dl_phdr_info *info, uintptr_t address) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && address - (info->dlpi_addr + header->p_vaddr) < header->p_memsz) {
            return 1;
        }
    }
    return 0;
}

/* The part of the library the loader writes itself and then protects, in whole pages. */
static bh_segment protected_after_relocation(const struct dl_phdr_info *info) {
    bh_segment relro = {NULL, 0};
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_GNU_RELRO) {
            const uintptr_t start = (info->dlpi_addr + header->p_vaddr) & ~(page - 1);
            const uintptr_t end = (info->dlpi_addr + header->p_vaddr + header->p_memsz) & ~(page - 1);
            relro.start = (uint8_t *)start;
            relro.size = end > start ? end - start : 0;
        }
    }
    return relro;
}

static int add_segment(bh_image *image, uintptr_t start, uintptr_t end) {
    if (end <= start) {
        return 0;
    }
    if (image->n_segments == BH_MAX_SEGMENTS) {
        return -1;
    }
    image->segments[image->n_segments].start = (uint8_t *)start;
    image->segments[image->n_segments].size = end - start;
    image->n_segments++;
    image->size += end - start;
    return 0;
}

/* A writable segment without the protected part, which may lie at its start, its end or in the middle. */
static int add_writable(bh_image *image, uintptr_t start, uintptr_t end, bh_segment relro) {
    const uintptr_t hole_start = (uintptr_t)relro.start;
    const uintptr_t hole_end = hole_start + relro.size;
    if (relro.size == 0 || hole_end <= start || hole_start >= end) {
        return add_segment(image, start, end);
    }
    const int before = add_segment(image, start, hole_start);
    const int after = add_segment(image, hole_end, end);
    return before < 0 || after < 0 ? -1 : 0;
}

static int describe(const struct dl_phdr_info *info, bh_image *image) {
    const bh_segment relro = protected_after_relocation(info);
    image->base = info->dlpi_addr;
    image->low = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD) {
            continue;
        }
        const uintptr_t start = info->dlpi_addr + header->p_vaddr;
        const uintptr_t end = start + header->p_memsz;
        image->low = start < image->low ? start : image->low;
        image->high = end > image->high ? end : image->high;
        if ((header->p_flags & PF_W) != 0 && add_writable(image, start, end, relro) < 0) {
            return -1;
        }
    }
    return 1;
}

static int visit(struct dl_phdr_info *info, size_t size, void *data) {
    bh_search *search = data;
    (void)size;
    return contains(info, search->address) ? describe(info, search->image) : 0;
}

int bh_image_find(const void *address, bh_image *image) {
    bh_search search = {(uintptr_t)address, image};
    memset(image, 0, sizeof *image);
    if (address != NULL && dl_iterate_phdr(visit, &search) > 0) {
        return 0;
    }
    memset(image, 0, sizeof *image);
    return -1;
}

/* Under the address sanitizer memcpy is intercepted and would report the zones around every global. */
static void copy(uint8_t *to, const uint8_t *from, size_t size) {
    if (&__asan_init == NULL) {
        memcpy(to, from, size);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        to[i] = from[i];
        __asm__ volatile("" ::: "memory"); /* keeps the compiler from making a memcpy of it */
    }
}

#else

int bh_image_find(const void *address, bh_image *image) {
    (void)address;
    memset(image, 0, sizeof *image);
    return -1;
}

static void copy(uint8_t *to, const uint8_t *from, size_t size) {
    memcpy(to, from, size);
}

#endif

void bh_image_save(const bh_image *image, uint8_t *buffer) {
    for (int32_t i = 0; i < image->n_segments; i++) {
        copy(buffer, image->segments[i].start, image->segments[i].size);
        buffer += image->segments[i].size;
    }
}

void bh_image_load(const bh_image *image, const uint8_t *buffer) {
    for (int32_t i = 0; i < image->n_segments; i++) {
        copy(image->segments[i].start, buffer, image->segments[i].size);
        buffer += image->segments[i].size;
    }
}

size_t bh_firmware_size(const void *address) {
    bh_image image;
    return bh_image_find(address, &image) == 0 ? image.size : 0;
}

int bh_firmware_save(const void *address, uint8_t *buffer, size_t size) {
    bh_image image;
    if (bh_image_find(address, &image) != 0 || size < image.size) {
        return -1;
    }
    bh_image_save(&image, buffer);
    return 0;
}

int bh_firmware_load(const void *address, const uint8_t *buffer, size_t size) {
    bh_image image;
    if (bh_image_find(address, &image) != 0 || size < image.size) {
        return -1;
    }
    bh_image_load(&image, buffer);
    return 0;
}

int bh_checkpoint_save(const void *arena, size_t arena_used, const bh_image *image, uint8_t *buffer, size_t size) {
    if (size < arena_used + image->size) {
        return -1;
    }
    memcpy(buffer, arena, arena_used);
    bh_image_save(image, buffer + arena_used);
    return 0;
}

int bh_checkpoint_load(void *arena, size_t arena_used, const bh_image *image, const uint8_t *buffer, size_t size) {
    /* The image may lie in the arena that is about to be overwritten. */
    const bh_image firmware = *image;
    if (size < arena_used + firmware.size) {
        return -1;
    }
    memcpy(arena, buffer, arena_used);
    bh_image_load(&firmware, buffer + arena_used);
    return 0;
}
