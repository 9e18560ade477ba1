/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Temporary folders of tests.
 */
#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_entry(
	const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

/* With all that is in it. */
static inline int folder_remove(const char *path)
{
	return nftw(path, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
