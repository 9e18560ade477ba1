/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table is written in the form in which nft lists it. That gives two ways to see whether it is
 * as it shall be. The hash in its comment says what text it was made from; the listing says whether
 * somebody changed it since. A new agent compares the listing with the text once (blanks aside); where a
 * later nft prints it otherwise, the table is replaced once, which no packet notices. From then on
 * the listing with its handles is compared with the one right after the replacement.
 *
 * A listing of thousands of elements takes tens of milliseconds, so in between the text alone is
 * compared.
 */
#include "agent/filter/nft_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"

static void forget(struct nft_table *t)
{
	free(t->text);
	free(t->listing);
	t->text = NULL;
	t->listing = NULL;
	t->known = false;
}

void nft_table_done(struct nft_table *t)
{
	forget(t);
}

char *nft_table_text(const char *name, const char *inside)
{
	struct hash h = hash_of(inside, strlen(inside));
	char hash[HASH_TEXT];
	char *text = NULL;
	hash_format(&h, hash);
	if (asprintf(&text, "table %s {\n\tcomment \"roost %s\"\n%s}\n", name, hash, inside) < 0)
		err_abort("out of memory");
	return text;
}

/* Equal but for the amount of blanks. */
static bool is_same_text(const char *a, const char *b)
{
	const char *blanks = " \t\n";
	for (;;) {
		bool gap_a = strspn(a, blanks) > 0;
		bool gap_b = strspn(b, blanks) > 0;
		a += strspn(a, blanks);
		b += strspn(b, blanks);
		if (!*a || !*b)
			return *a == *b;
		if (*a != *b || gap_a != gap_b)
			return false;
		a++;
		b++;
	}
}

/* The listing; NULL when there is no table. */
static int list(struct nft_table *t, int mode, char **out, struct err *e)
{
	*out = NULL;
	char command[128];
	(void)snprintf(command, sizeof(command), "list table %s", t->name);
	int r = nft_run(t->nft, mode, command, command, out, e);
	return r == -ENOENT ? 0 : r;
}

/* 1: the table is what the text says, as far as can be seen. */
static int is_right(struct nft_table *t, const char *text, const char *listing, struct err *e)
{
	if (!listing)
		return 0;
	if (t->listing)
		return strcmp(t->text, text) == 0 && strcmp(t->listing, listing) == 0;
	CLEANUP_FREE char *plain = NULL;
	int r = list(t, NFT_TEXT, &plain, e);
	return r < 0 ? r : plain && is_same_text(plain, text);
}

static int keep(struct nft_table *t, const char *text, struct err *e)
{
	char *listing = NULL;
	int r = list(t, NFT_HANDLES, &listing, e);
	if (r < 0)
		return r;
	forget(t);
	t->text = mem_strdup(text);
	t->listing = listing;
	t->known = true;
	return 0;
}

/* Added first, so that the deletion always finds one; the kernel sees all three or nothing. */
static int replace(struct nft_table *t, const char *text, struct err *e)
{
	CLEANUP_FREE char *commands = NULL;
	char what[128];
	if (asprintf(&commands, "add table %s\ndelete table %s\n%s", t->name, t->name, text) < 0)
		err_abort("out of memory");
	(void)snprintf(what, sizeof(what), "replace table %s", t->name);
	forget(t);
	int r = nft_run(t->nft, NFT_TEXT, commands, what, NULL, e);
	return r < 0 ? r : keep(t, text, e);
}

static int drop(struct nft_table *t, struct err *e)
{
	char command[128];
	(void)snprintf(command, sizeof(command), "delete table %s", t->name);
	int r = nft_run(t->nft, NFT_TEXT, command, command, NULL, e);
	return r < 0 ? r : 1;
}

static int remove_table(struct nft_table *t, bool is_there, struct err *e)
{
	forget(t);
	int r = is_there ? drop(t, e) : 0;
	t->known = r >= 0;
	return r;
}

static bool is_made_from(const struct nft_table *t, const char *text)
{
	return t->known && (text && t->text ? strcmp(text, t->text) == 0 : text == t->text);
}

int nft_table_sync(struct nft_table *t, const char *text, bool look, struct err *e)
{
	CLEANUP_FREE char *listing = NULL;
	if (!look && is_made_from(t, text))
		return 0;
	int r = list(t, NFT_HANDLES, &listing, e);
	if (r < 0)
		return r;
	if (!text)
		return remove_table(t, listing != NULL, e);
	r = is_right(t, text, listing, e);
	if (r == 0) {
		r = replace(t, text, e);
		return r < 0 ? r : 1;
	}
	if (r > 0 && !t->listing)
		r = keep(t, text, e);
	return r < 0 ? r : 0;
}
