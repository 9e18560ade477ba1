/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the client of the Kubernetes API that know no network: kubeconfigs, credentials that
 * change, answers, and the machine of a watch, fed with what API servers say.
 */
#include "tests/unit/check.h"
#include "tests/unit/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base64.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "store/kube/answer.h"
#include "store/kube/config.h"
#include "store/kube/credentials.h"
#include "store/kube/mend.h"
#include "store/kube/watch.h"

/* ---- base64 ---- */

TEST(base64_of_either_alphabet_is_read)
{
	static const struct {
		const char *text, *bytes;
	} table[] = {{"", ""}, {"Zg==", "f"}, {"Zg", "f"}, {"Zm9v\nYmFy\n", "foobar"},
		{"-_-_", "\xfb\xff\xbf"}, {"+/+/", "\xfb\xff\xbf"}};
	for (size_t i = 0; i < COUNT(table); i++) {
		char out[64];
		ssize_t n = base64_decode(table[i].text, strlen(table[i].text), out);
		assert_int_equal(n, strlen(table[i].bytes));
		assert_string_equal(out, table[i].bytes);
	}
}

TEST(what_is_no_base64_is_refused)
{
	static const char *const table[] = {"A", "Zg==Zg==", "Zg=x", "Z!", "Zg===", "AAAAA"};
	for (size_t i = 0; i < COUNT(table); i++) {
		char out[64];
		if (base64_decode(table[i], strlen(table[i]), out) >= 0)
			fail_msg("%s was taken", table[i]);
	}
}

/* ---- kubeconfigs ---- */

struct place {
	char folder[32], config[64];
};

static void place_make(struct place *p)
{
	(void)snprintf(p->folder, sizeof(p->folder), "/tmp/roost-kube-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	(void)snprintf(p->config, sizeof(p->config), "%s/config", p->folder);
}

static void place_write(const struct place *p, const char *name, const char *text)
{
	char path[128];
	struct err e;
	(void)snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	ok(file_replace(path, 0600, text, strlen(text), &e));
}

#define CLUSTER(more) "clusters: [{name: c, cluster: {server: 'https://10.0.0.1:6443'" more "}}]\n"
#define USER(what) "users: [{name: u, user: {" what "}}]\n"
#define CONTEXT "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
#define CURRENT "current-context: x\n"

TEST(a_kubeconfig_says_where_and_who)
{
	struct place p;
	struct kube_config c;
	struct err e;
	place_make(&p);
	place_write(&p, "config",
		"apiVersion: v1\nkind: Config\n" CURRENT
		"clusters: [{name: other, cluster: {server: 'https://x'}},\n"
		" {name: c, cluster: {server: 'https://api.example:443/k8s/c-1/',\n"
		"  certificate-authority: pki/ca.crt, tls-server-name: kubernetes}}]\n"
		"contexts: [{name: y, context: {}}, {name: x,\n"
		" context: {cluster: c, user: u, namespace: rooms}}]\n" USER(
			"client-certificate-data: 'UEVN', client-key: /k.pem, token: abc"));
	ok(kube_config_read(p.config, NULL, &c, &e));
	assert_string_equal(c.server, "https://api.example:443");
	assert_string_equal(c.path, "/k8s/c-1");
	assert_string_equal(c.tls_server_name, "kubernetes");
	assert_string_equal(c.namespace_, "rooms");
	assert_int_equal(strncmp(c.ca.file, p.folder, strlen(p.folder)), 0);
	assert_string_equal(c.ca.file + strlen(p.folder), "/pki/ca.crt");
	assert_string_equal(c.cert.bytes, "PEM");
	assert_string_equal(c.key.file, "/k.pem");
	assert_string_equal(c.token.bytes, "abc");
	kube_config_done(&c);
	/* An address that is given counts, and the only context needs no word. */
	place_write(&p, "config", CLUSTER("") CONTEXT USER("tokenFile: t"));
	ok(kube_config_read(p.config, "https://192.0.2.1", &c, &e));
	assert_string_equal(c.server, "https://192.0.2.1");
	assert_string_equal(c.namespace_, "default");
	kube_config_done(&c);
	assert_int_equal(folder_remove(p.folder), 0);
}

TEST(a_kubeconfig_that_cannot_serve_is_refused_with_its_reason)
{
	static const struct {
		const char *text, *says;
	} table[] = {
		{"", "one YAML document"},
		{"[]", "one YAML document"},
		{CLUSTER("") USER("token: t"), "0 contexts"},
		{"contexts: [{name: a}, {name: b}]\n", "2 contexts"},
		{"current-context: z\n" CONTEXT, "no \"z\" under contexts"},
		{CURRENT CONTEXT USER("token: t"), "no \"c\" under clusters"},
		{CURRENT CONTEXT CLUSTER(""), "no \"u\" under users"},
		{CURRENT CONTEXT CLUSTER(", insecure-skip-tls-verify: true") USER("token: t"),
			"insecure-skip-tls-verify"},
		{CURRENT CONTEXT CLUSTER(", proxy-url: 'http://p'") USER("token: t"), "proxy-url"},
		{CURRENT CONTEXT CLUSTER("") USER("exec: {command: aws}"), "exec: roost runs no"},
		{CURRENT CONTEXT CLUSTER("") USER("auth-provider: {name: gcp}"), "auth-provider"},
		{CURRENT CONTEXT CLUSTER("") USER("username: a, password: b"), "passwords"},
		{CURRENT CONTEXT CLUSTER("") USER("client-key: k"), "without its certificate"},
		{CURRENT CONTEXT CLUSTER("") USER("client-key-data: '!'"), "no base64"},
		{CURRENT CONTEXT CLUSTER(", certificate-authority: 5") USER("token: t"),
			"certificate-authority"},
		{CURRENT CONTEXT USER("token: t") "clusters: [{name: c, cluster: {}}]\n",
			"has no server"},
		{CURRENT CONTEXT USER("token: t") "clusters: [{name: c}]\n", "has no cluster"},
		{CURRENT CONTEXT USER("token: t") "clusters: [{name: c, cluster: {server: "
						  "'http://10.0.0.1'}}]\n",
			"https://"},
		{CURRENT CONTEXT USER(
			 "token: t") "clusters: [{name: c, cluster: {server: 'https://a/b?c'}}]\n",
			"no path"},
	};
	struct place p;
	place_make(&p);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct kube_config c;
		struct err e;
		place_write(&p, "config", table[i].text);
		if (kube_config_read(p.config, NULL, &c, &e) >= 0)
			fail_msg("taken: %s", table[i].text);
		assert_says(e.text, table[i].says);
		assert_says(e.text, p.config);
	}
	assert_int_equal(folder_remove(p.folder), 0);
}

TEST(an_account_needs_its_folder_and_a_server)
{
	struct place p;
	struct kube_config c;
	struct err e;
	place_make(&p);
	assert_int_equal(kube_config_account(p.folder, "https://10.96.0.1:443", &c, &e), -EINVAL);
	assert_says(e.text, "no service account");
	place_write(&p, "token", "t\n");
	assert_int_equal(kube_config_account(p.folder, NULL, &c, &e), -EINVAL);
	assert_says(e.text, "KUBERNETES_SERVICE_HOST");
	place_write(&p, "namespace", "roost-system");
	ok(kube_config_account(p.folder, "https://[fd00::1]:443", &c, &e));
	assert_string_equal(c.namespace_, "roost-system");
	assert_string_equal(c.server, "https://[fd00::1]:443");
	kube_config_done(&c);
	assert_int_equal(folder_remove(p.folder), 0);
}

TEST(the_address_of_the_environment_is_made_a_url)
{
	char out[KUBE_SERVER];
	assert_string_equal(kube_server("10.96.0.1", "443", out), "https://10.96.0.1:443");
	assert_string_equal(kube_server("fd00::1", "6443", out), "https://[fd00::1]:6443");
	assert_string_equal(kube_server("api", NULL, out), "https://api:443");
	assert_null(kube_server(NULL, "443", out));
	assert_null(kube_server("", "443", out));
}

/* ---- credentials ---- */

TEST(files_are_read_again_when_they_changed)
{
	struct place p;
	struct kube_credentials *c = NULL;
	struct err e;
	place_make(&p);
	place_write(&p, "token", "one\n");
	ok(kube_credentials_open(&c, NULL, p.folder, "https://10.96.0.1", &e));
	assert_string_equal(kube_credentials_token(c), "one");
	assert_non_null(kube_credentials_trouble(c)); /* no ca.crt */
	place_write(&p, "ca.crt", "PEM");
	assert_int_equal(kube_credentials_look(c), 1);
	assert_int_equal(kube_credentials_tls(c).ca.len, 3);
	assert_null(kube_credentials_trouble(c));
	assert_int_equal(kube_credentials_look(c), 0);
	place_write(&p, "token", "two");
	assert_int_equal(kube_credentials_look(c), 1);
	assert_string_equal(kube_credentials_token(c), "two");
	/* What is no token leaves the last one in use, and is said. */
	place_write(&p, "token", "a b");
	assert_int_equal(kube_credentials_look(c), 0);
	assert_string_equal(kube_credentials_token(c), "two");
	assert_says(kube_credentials_trouble(c), "holds no token");
	kube_credentials_close(c);
	assert_int_equal(folder_remove(p.folder), 0);
}

TEST(a_kubeconfig_is_read_again_when_it_changed)
{
	struct place p;
	struct kube_credentials *c = NULL;
	struct err e;
	place_make(&p);
	place_write(&p, "config", CURRENT CONTEXT CLUSTER("") USER("token: one"));
	ok(kube_credentials_open(&c, p.config, "", NULL, &e));
	place_write(&p, "config", CURRENT CONTEXT CLUSTER("") USER("token: other"));
	assert_int_equal(kube_credentials_look(c), 1);
	assert_string_equal(kube_credentials_token(c), "other");
	place_write(&p, "config", "nonsense");
	assert_int_equal(kube_credentials_look(c), 0);
	assert_string_equal(kube_credentials_token(c), "other");
	assert_non_null(kube_credentials_trouble(c));
	kube_credentials_close(c);
	assert_int_equal(folder_remove(p.folder), 0);
}

TEST(a_token_whose_time_this_clock_leaves_out_is_said)
{
	/* {"exp":1} and {"nbf":99999999999} */
	static const struct {
		const char *token, *says;
	} table[] = {{"a.eyJleHAiOjF9.b", "was valid until 1970-01-01T00:00:01Z"},
		{"a.eyJuYmYiOjk5OTk5OTk5OTk5fQ.b", "is valid from 5138-"},
		{"a.!!.b", "the token in"}, {"opaque", "the token in"}};
	struct place p;
	place_make(&p);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct kube_credentials *c = NULL;
		struct err e;
		char who[KUBE_WHO];
		place_write(&p, "token", table[i].token);
		ok(kube_credentials_open(&c, NULL, p.folder, "https://10.96.0.1", &e));
		assert_says(kube_credentials_who(c, who), table[i].says);
		kube_credentials_close(c);
	}
	assert_int_equal(folder_remove(p.folder), 0);
}

/* ---- answers ---- */

TEST(who_an_object_is_was_looked_at)
{
	static const struct {
		const char *text;
		bool fine;
	} table[] = {
		{"{\"metadata\":{\"name\":\"n1\",\"resourceVersion\":\"7\"}}", true},
		{"{\"metadata\":{\"name\":\"system:x\",\"resourceVersion\":\"7\"}}", true},
		{"{\"metadata\":{\"name\":\"n1\",\"namespace\":\"d\",\"resourceVersion\":\"7\"}}",
			true},
		{"{\"metadata\":{\"name\":\"n1\",\"resourceVersion\":\"x\"}}", false},
		{"{\"metadata\":{\"name\":\"n1\",\"resourceVersion\":\"9999999999999999999\"}}",
			false},
		{"{\"metadata\":{\"name\":\"n1\",\"resourceVersion\":7}}", false},
		{"{\"metadata\":{\"name\":\"a/b\",\"resourceVersion\":\"7\"}}", false},
		{"{\"metadata\":{\"name\":\"..\",\"resourceVersion\":\"7\"}}", false},
		{"{\"metadata\":{\"name\":\"a\\u001b\",\"resourceVersion\":\"7\"}}", false},
		{"{\"metadata\":{\"name\":\"\",\"resourceVersion\":\"7\"}}", false},
		{"{\"metadata\":[]}", false},
		{"[]", false},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct kube_identity id;
		json_t *doc = NULL;
		struct err e;
		ok(kube_parse(table[i].text, strlen(table[i].text), &doc, &e));
		if (kube_identify(doc, &id) != table[i].fine)
			fail_msg("%s", table[i].text);
		json_decref(doc);
	}
}

/* ---- what our parser would refuse ---- */

static void check_mended(const char *text, const char *mended)
{
	CLEANUP_JSON json_t *doc = NULL;
	char bytes[256];
	struct err e = {0};
	size_t len = strlen(text);
	assert_true(text_copy(bytes, sizeof(bytes), text));
	kube_mend(bytes, len);
	assert_string_equal(bytes, mended);
	if (kube_parse(text, len, &doc, &e) < 0)
		fail_msg("%s: %s", text, e.text);
}

TEST(one_value_makes_no_answer_unreadable)
{
	check_mended(
		"{\"a\\u0000b\":\"\\u0000\\\\u0000\"}", "{\"a\\ufffdb\":\"\\ufffd\\\\u0000\"}");
	check_mended("[100000000000000000000]", "[1e0000000000000000020]");
	check_mended("[-9223372036854775808,9223372036854775808]",
		"[-9e00000000000000018,9e00000000000000018]");
	check_mended("[9223372036854775807,\"9223372036854775808\"]",
		"[9223372036854775807,\"9223372036854775808\"]");
	check_mended("[1.12345678901234567890123,1e-000000000000000000000001]",
		"[1.12345678901234567890123,1e-000000000000000000000001]");
	check_mended("[[],{\"a\":[\"]\"]}]", "[[],{\"a\":[\"]\"]}]");
}

TEST(what_is_too_deep_is_cut_and_the_rest_is_not)
{
	CLEANUP_JSON json_t *doc = NULL;
	char open[201] = "", close[201] = "", text[1024];
	struct err e = {0};
	memset(open, '[', 200);
	memset(close, ']', 200);
	(void)snprintf(text, sizeof(text), "[1,%s\"]\"%s,2]", open, close);
	ok(kube_parse(text, strlen(text), &doc, &e));
	assert_int_equal(json_array_size(doc), 3);
	assert_int_equal(json_integer_value(json_array_get(doc, 2)), 2);
}

TEST(what_is_no_json_stays_none)
{
	static const char *const table[] = {"", "\"", "\"\\", "\"\\u000", "[", "]", "-",
		"1111111111111111111111.", "}{", "[[\"", "[1}", "--1", "12345678901234567890123x"};
	for (size_t i = 0; i < COUNT(table); i++) {
		json_t *doc = NULL;
		struct err e = {0};
		assert_int_equal(kube_parse(table[i], strlen(table[i]), &doc, &e), -EBADMSG);
		assert_null(doc);
	}
}

/* ---- the watch ---- */

#define META(name, version)                                                                        \
	"{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" #version "\"}}"
#define LINE(type, name, version) "{\"type\":\"" type "\",\"object\":" META(name, version) "}"
#define BOOKMARK(version)                                                                          \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" #version "\"}}}"
#define LAST(version)                                                                              \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" #version         \
	"\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}"
#define ERROR_LINE(code)                                                                           \
	"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":" #code                      \
	",\"message\":\"no\"}}"
#define PAGE(version, next, items)                                                                 \
	"{\"metadata\":{\"resourceVersion\":\"" #version "\",\"continue\":\"" next                 \
	"\"},\"items\":[" items "]}"

static struct kube_watch *new_watch(bool once)
{
	const struct kube_selection s = {.path = "/api/v1/nodes"};
	return kube_watch_new(&s, once);
}

#define CHECKED(version) PAGE(version, "more", "{}")

/* What it asks next, without what is drawn at random. */
static void asks(const struct kube_watch *w, const char *wanted, bool is_stream)
{
	struct kube_ask ask;
	kube_watch_compose(w, &ask);
	if (!strstr(ask.path.buf, wanted))
		fail_msg("it asks %s, not %s", ask.path.buf, wanted);
	assert_int_equal(ask.is_stream, is_stream);
	text_free(&ask.path);
}

/* Feeds an answer and appends the events to out: "R0", "+a3", "-a4", "C5". */
static enum kube_verdict feed_as(struct kube_watch *w, int status, const char *answer, char out[96])
{
	struct kube_event ev;
	struct err e = {0};
	out[0] = '\0';
	enum kube_verdict v = kube_watch_take(w, status, answer, strlen(answer), &e);
	if (v != KUBE_FINE) {
		assert_true(*e.text);
		return v;
	}
	while (kube_watch_next(w, &ev)) {
		size_t n = strlen(out);
		const char *mark = ev.kind == KUBE_RESTART   ? "R"
				   : ev.kind == KUBE_CURRENT ? "C"
				   : ev.kind == KUBE_EXISTS  ? "+"
							     : "-";
		(void)snprintf(
			out + n, 96 - n, "%s%s%d ", mark, ev.name ? ev.name : "", (int)ev.version);
	}
	return v;
}

static void feeds(struct kube_watch *w, const char *answer, const char *wanted)
{
	char out[96];
	assert_int_equal(feed_as(w, 200, answer, out), KUBE_FINE);
	assert_string_equal(out, wanted);
}

TEST(a_watch_begins_with_one_stream_that_tells_what_exists)
{
	struct kube_watch *w = new_watch(false);
	asks(w, "/api/v1/nodes?limit=1", false);
	feeds(w, CHECKED(4), "");
	asks(w, "/api/v1/nodes?watch=1&sendInitialEvents=true&resourceVersion=4&", true);
	feeds(w, LINE("ADDED", "a", 3), "R4 +a3 ");
	feeds(w, BOOKMARK(4), "");
	feeds(w, LINE("ADDED", "b", 2), "+b2 ");
	feeds(w, LAST(5), "C5 ");
	feeds(w, LINE("MODIFIED", "a", 6), "+a6 ");
	feeds(w, LINE("DELETED", "a", 7), "-a7 ");
	/* A stream that ends goes on behind what was told last; a bookmark counts, too. */
	kube_watch_ended(w);
	asks(w, "watch=1&resourceVersion=7&", true);
	feeds(w, BOOKMARK(9), "");
	kube_watch_ended(w);
	asks(w, "resourceVersion=9&", true);
	kube_watch_free(w);
}

TEST(an_empty_collection_is_told_too)
{
	struct kube_watch *w = new_watch(false);
	feeds(w, CHECKED(5), "");
	feeds(w, LAST(5), "R5 C5 ");
	kube_watch_free(w);
}

TEST(a_server_that_cannot_is_asked_for_pages)
{
	static const struct {
		int status;
		const char *answer;
	} table[] = {{400, "{}"}, {422, "{\"message\":\"sendInitialEvents is forbidden\"}"},
		{200, ERROR_LINE(500)}, {200, ERROR_LINE(410)}, {406, "no JSON"}};
	for (size_t i = 0; i < COUNT(table); i++) {
		char out[96];
		struct kube_watch *w = new_watch(false);
		feeds(w, CHECKED(5), "");
		assert_int_equal(feed_as(w, table[i].status, table[i].answer, out), KUBE_ANEW);
		asks(w, "/api/v1/nodes?limit=200", false);
		feeds(w, PAGE(5, "more", META("a", 3)), "R5 +a3 ");
		asks(w, "continue=more", false);
		feeds(w, PAGE(5, "", META("b", 4)), "+b4 C5 ");
		asks(w, "resourceVersion=5&", true);
		/* And it stays so when everything begins anew. */
		assert_int_equal(feed_as(w, 200, ERROR_LINE(410), out), KUBE_ANEW);
		asks(w, "limit=", false);
		kube_watch_free(w);
	}
}

TEST(a_version_that_is_gone_begins_everything_anew)
{
	char out[96];
	struct kube_watch *w = new_watch(false);
	feeds(w, CHECKED(5), "");
	feeds(w, LAST(5), "R5 C5 ");
	assert_int_equal(feed_as(w, 200, ERROR_LINE(410), out), KUBE_ANEW);
	asks(w, "limit=1", false);
	feeds(w, CHECKED(7), "");
	asks(w, "sendInitialEvents", true);
	feeds(w, LAST(8), "R8 C8 ");
	assert_int_equal(feed_as(w, 410, "{}", out), KUBE_ANEW);
	asks(w, "limit=1", false);
	kube_watch_free(w);
}

TEST(a_stream_that_broke_is_followed_by_a_look_at_the_version)
{
	struct kube_watch *w = new_watch(false);
	feeds(w, CHECKED(5), "");
	feeds(w, LAST(5), "R5 C5 ");
	kube_watch_broken(w);
	asks(w, "/api/v1/nodes?limit=1", false);
	feeds(w, PAGE(9, "more", META("a", 3)), "");
	asks(w, "resourceVersion=5&", true);
	/* One that lies behind means that the cluster was restored. */
	kube_watch_broken(w);
	feeds(w, PAGE(4, "", ""), "");
	asks(w, "sendInitialEvents", true);
	feeds(w, LAST(4), "R4 C4 ");
	kube_watch_free(w);
}

TEST(a_list_that_broke_off_begins_anew)
{
	char out[96];
	struct kube_watch *w = new_watch(false);
	feeds(w, CHECKED(4), "");
	feeds(w, LINE("ADDED", "a", 3), "R4 +a3 ");
	kube_watch_broken(w);
	feeds(w, CHECKED(5), "");
	asks(w, "sendInitialEvents", true);
	feeds(w, LINE("ADDED", "a", 3), "R5 +a3 ");
	kube_watch_free(w);
	/* The next page of one is asked for again; one that expired begins it anew. */
	w = new_watch(true);
	feeds(w, PAGE(5, "more", META("a", 3)), "R5 +a3 ");
	kube_watch_broken(w);
	asks(w, "continue=more", false);
	assert_int_equal(feed_as(w, 410, "{}", out), KUBE_ANEW);
	feeds(w, PAGE(6, "", META("a", 3)), "R6 +a3 C6 ");
	assert_true(kube_watch_is_done(w));
	kube_watch_free(w);
}

TEST(errors_in_a_stream_are_asked_again_a_few_times)
{
	char out[96];
	struct kube_watch *w = new_watch(false);
	feeds(w, CHECKED(5), "");
	feeds(w, LAST(5), "R5 C5 ");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(feed_as(w, 200, ERROR_LINE(500), out), KUBE_AGAIN);
		asks(w, "resourceVersion=5&", true);
	}
	assert_int_equal(feed_as(w, 200, ERROR_LINE(500), out), KUBE_ANEW);
	asks(w, "limit=1", false);
	kube_watch_free(w);
}

TEST(what_a_server_refuses_is_told_apart)
{
	static const struct {
		int status;
		enum kube_verdict verdict;
	} table[] = {{401, KUBE_UNKNOWN}, {403, KUBE_FORBIDDEN}, {404, KUBE_MISSING},
		{429, KUBE_BUSY}, {503, KUBE_BUSY}, {500, KUBE_AGAIN}, {504, KUBE_AGAIN}};
	for (size_t i = 0; i < COUNT(table); i++) {
		char out[96];
		struct kube_watch *w = new_watch(false);
		assert_int_equal(feed_as(w, table[i].status, "{}", out), table[i].verdict);
		asks(w, "limit=1", false);
		feeds(w, CHECKED(5), "");
		assert_int_equal(feed_as(w, table[i].status, "{}", out), table[i].verdict);
		asks(w, "sendInitialEvents", true);
		kube_watch_free(w);
	}
}

TEST(a_collection_that_may_lack_is_told_as_an_empty_one_until_it_is_there)
{
	const struct kube_selection s = {.path = "/apis/roost.io/v1/tiers", .may_lack = true};
	struct kube_watch *w = kube_watch_new(&s, false);
	char out[96];
	for (int i = 0; i < 2; i++) /* a server that begins to serve says so, too */
		assert_int_equal(feed_as(w, 404, "{}", out), KUBE_LACKING);
	feeds(w, CHECKED(4), "");
	for (int i = 0; i < 2; i++)
		assert_int_equal(feed_as(w, 404, "{}", out), KUBE_LACKING);
	assert_int_equal(feed_as(w, 404, "{}", out), KUBE_FINE);
	assert_string_equal(out, "R0 C0 ");
	for (int i = 0; i < 5; i++)
		assert_int_equal(feed_as(w, 404, "{}", out), KUBE_LACKING);
	feeds(w, CHECKED(5), "");
	feeds(w, LINE("ADDED", "a", 3), "R5 +a3 ");
	feeds(w, LAST(5), "C5 ");
	kube_watch_broken(w); /* its definition is deleted: what was in it is gone */
	for (int i = 0; i < 2; i++)
		assert_int_equal(feed_as(w, 404, "{}", out), KUBE_LACKING);
	assert_int_equal(feed_as(w, 404, "{}", out), KUBE_FINE);
	assert_string_equal(out, "R0 C0 ");
	kube_watch_free(w);
}

TEST(a_list_of_what_may_lack_is_empty_at_once)
{
	const struct kube_selection s = {.path = "/apis/roost.io/v1/tiers", .may_lack = true};
	struct kube_watch *w = kube_watch_new(&s, true);
	struct kube_event ev;
	struct err e = {0};
	assert_int_equal(kube_watch_take(w, 404, "{}", 2, &e), KUBE_FINE);
	assert_true(kube_watch_next(w, &ev));
	assert_int_equal(ev.kind, KUBE_RESTART);
	assert_false(kube_watch_is_done(w));
	assert_true(kube_watch_next(w, &ev));
	assert_int_equal(ev.kind, KUBE_CURRENT);
	assert_true(kube_watch_is_done(w));
	kube_watch_free(w);
}

TEST(what_is_no_answer_of_an_api_server_changes_nothing)
{
	static const char *const lines[] = {"", "x", "{}", "[]", "{\"type\":\"ADDED\"}",
		"{\"type\":\"NEWS\",\"object\":{}}", "{\"type\":1,\"object\":{}}",
		"{\"type\":\"BOOKMARK\",\"object\":{}}", "{\"type\":\"ADDED\",\"object\":[]}"};
	static const char *const pages[] = {"", "[]", "{}", "{\"items\":[]}",
		"{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":{}}"};
	char out[96];
	struct kube_watch *w = new_watch(false);
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_int_equal(feed_as(w, 200, lines[i], out), KUBE_AGAIN);
	feeds(w, CHECKED(4), "");
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_int_equal(feed_as(w, 200, lines[i], out), KUBE_AGAIN);
	feeds(w, LINE("ADDED", "a/b", 3), "R4 ");
	feeds(w, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"c\"}}}", "");
	kube_watch_free(w);
	w = new_watch(true);
	for (size_t i = 0; i < COUNT(pages); i++)
		assert_int_equal(feed_as(w, 200, pages[i], out), KUBE_AGAIN);
	feeds(w, PAGE(5, "more", "1,{}," META("a", 3)), "R5 +a3 ");
	/* A server that hands out one page again and again is no good. */
	assert_int_equal(feed_as(w, 200, PAGE(5, "more", META("b", 3)), out), KUBE_AGAIN);
	kube_watch_free(w);
}

TEST(an_answer_that_is_too_large_makes_pages_smaller)
{
	struct kube_watch *w = new_watch(true);
	kube_watch_too_large(w);
	asks(w, "limit=25", false);
	for (int i = 0; i < 4; i++)
		kube_watch_too_large(w);
	asks(w, "limit=1", false);
	feeds(w, PAGE(5, "more", META("a", 3)), "R5 +a3 ");
	asks(w, "limit=2", false);
	kube_watch_free(w);
}

TEST(selectors_are_escaped)
{
	const struct kube_selection s = {.path = "/api/v1/pods",
		.field_selector = "spec.nodeName=a&b",
		.label_selector = "x in (a,b)",
		.metadata_only = true};
	struct kube_watch *w = kube_watch_new(&s, true);
	struct kube_ask ask;
	asks(w, "&fieldSelector=spec.nodeName%3Da%26b&labelSelector=x%20in%20%28a%2Cb%29", false);
	kube_watch_compose(w, &ask);
	assert_says(ask.accept, "as=PartialObjectMetadataList");
	text_free(&ask.path);
	kube_watch_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_of_either_alphabet_is_read),
		cmocka_unit_test(what_is_no_base64_is_refused),
		cmocka_unit_test(a_kubeconfig_says_where_and_who),
		cmocka_unit_test(a_kubeconfig_that_cannot_serve_is_refused_with_its_reason),
		cmocka_unit_test(an_account_needs_its_folder_and_a_server),
		cmocka_unit_test(the_address_of_the_environment_is_made_a_url),
		cmocka_unit_test(files_are_read_again_when_they_changed),
		cmocka_unit_test(a_kubeconfig_is_read_again_when_it_changed),
		cmocka_unit_test(a_token_whose_time_this_clock_leaves_out_is_said),
		cmocka_unit_test(who_an_object_is_was_looked_at),
		cmocka_unit_test(one_value_makes_no_answer_unreadable),
		cmocka_unit_test(what_is_too_deep_is_cut_and_the_rest_is_not),
		cmocka_unit_test(what_is_no_json_stays_none),
		cmocka_unit_test(a_watch_begins_with_one_stream_that_tells_what_exists),
		cmocka_unit_test(an_empty_collection_is_told_too),
		cmocka_unit_test(a_server_that_cannot_is_asked_for_pages),
		cmocka_unit_test(a_version_that_is_gone_begins_everything_anew),
		cmocka_unit_test(a_stream_that_broke_is_followed_by_a_look_at_the_version),
		cmocka_unit_test(a_list_that_broke_off_begins_anew),
		cmocka_unit_test(errors_in_a_stream_are_asked_again_a_few_times),
		cmocka_unit_test(what_a_server_refuses_is_told_apart),
		cmocka_unit_test(
			a_collection_that_may_lack_is_told_as_an_empty_one_until_it_is_there),
		cmocka_unit_test(a_list_of_what_may_lack_is_empty_at_once),
		cmocka_unit_test(what_is_no_answer_of_an_api_server_changes_nothing),
		cmocka_unit_test(an_answer_that_is_too_large_makes_pages_smaller),
		cmocka_unit_test(selectors_are_escaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
