/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What identifies this run of the kernel and this machine, and the two clocks.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define BOOT_ID_TEXT 37

/* The kernel's random boot id, as in /proc/sys/kernel/random/boot_id. */
int boot_id(char out[BOOT_ID_TEXT], struct err *e);

/* A fingerprint of the machine: of its machine-id (machine-id(5)) and of the id of its board, which a
 * hypervisor makes anew for a clone. 32 hexadecimal digits; "" when neither can be read. */
#define BOOT_MACHINE_TEXT 33
void boot_machine(char out[BOOT_MACHINE_TEXT]);

uint64_t boot_now_ns(void); /* CLOCK_BOOTTIME: never jumps; ages and cool-downs */
int64_t boot_now_ms(void);  /* the same clock, milliseconds: deadlines and retries */
int64_t boot_wall_s(void);  /* CLOCK_REALTIME, seconds; only for showing */
/* RFC 3339, UTC; returns out. As an expression: TIME_STRING(). */
#define BOOT_TIME_TEXT 32
char *boot_format_time(int64_t wall_s, char out[BOOT_TIME_TEXT]);
/* The form that boot_format_time() writes, nothing else of RFC 3339. */
bool boot_parse_time(const char *text, int64_t *wall_s);
#define TIME_STRING(wall_s) boot_format_time((wall_s), (char[BOOT_TIME_TEXT]){0})
