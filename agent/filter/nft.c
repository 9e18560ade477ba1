/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnftables prints to stdout and stderr unless both are buffered. Its answer is 0 or -1; why is
 * only in the text: the first line, after "Error: " and the place in the input, is the
 * sentence, the rest shows the input with a mark below. A missing object is told from other errors by
 * the C library's own word for ENOENT, which the text ends with.
 *
 * Commands that change something are one netlink transaction: all of a text or nothing.
 */
#include "agent/filter/nft.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

struct nft {
	struct nft_ctx *ctx;
};

int nft_open(struct nft **out, struct err *e)
{
	struct nft *n = mem_new(1, sizeof(*n));
	n->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!n->ctx || nft_ctx_buffer_output(n->ctx) || nft_ctx_buffer_error(n->ctx)) {
		nft_close(n);
		return err_set(e, EIO, "cannot set up libnftables");
	}
	*out = n;
	return 0;
}

void nft_close(struct nft *n)
{
	if (!n)
		return;
	if (n->ctx)
		nft_ctx_free(n->ctx);
	free(n);
}

static int take_error(const char *text, const char *what, struct err *e)
{
	char line[256];
	const char *s = strstr(text, "Error: ");
	s = s ? s + strlen("Error: ") : text;
	(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(s, "\n"), s);
	char clean[256];
	(void)text_clean(clean, sizeof(clean), *line ? line : "no reason given");
	bool lacks = strstr(clean, strerror(ENOENT)) != NULL;
	return err_set(e, lacks ? ENOENT : EIO, "nftables: cannot %s: %s", what, clean);
}

int nft_run(
	struct nft *n, int mode, const char *commands, const char *what, char **out, struct err *e)
{
	static const unsigned int flags[] = {
		[NFT_TEXT] = NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_NUMERIC_PROTO,
		[NFT_HANDLES] = NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_HANDLE,
		[NFT_JSON] = NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_JSON,
	};
	nft_ctx_output_set_flags(n->ctx, flags[mode]);
	int r = nft_run_cmd_from_buffer(n->ctx, commands);
	/* Reading a buffer empties it for the next command. */
	const char *error = nft_ctx_get_error_buffer(n->ctx);
	const char *answer = nft_ctx_get_output_buffer(n->ctx);
	if (r != 0)
		return take_error(error ? error : "", what, e);
	if (out)
		*out = mem_strdup(answer ? answer : "");
	return 0;
}
