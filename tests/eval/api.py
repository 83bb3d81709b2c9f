"""The few calls of the API that a measurement needs, with some tries more where the server is busy."""

import collections
import concurrent.futures
import json
import sys
import time
import urllib.error
import urllib.request
import uuid

UPLOADS = 8
SEARCHES = 2


class Api:
    """Someone who speaks to a running server."""

    def __init__(self, url, token):
        self.url = url.rstrip("/")
        self.token = token

    def call(self, method, path, body=None, content_type="application/json"):
        headers = {"authorization": f"Bearer {self.token}", "content-type": content_type}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        for attempt in range(6):
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503) or attempt == 5:
                    sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")
                time.sleep(float(error.headers.get("retry-after", 1)))
            except urllib.error.URLError as error:
                sys.exit(f"{self.url} does not answer ({error.reason}); start it with `make run`")

    def upload(self, collection, filename, text):
        """The id of the document, which may be there already."""
        boundary = uuid.uuid4().hex
        body = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="collection"\r\n\r\n{collection}\r\n'
            f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{filename}"\r\n'
            f"content-type: text/markdown\r\n\r\n{text}\r\n--{boundary}--\r\n"
        )
        kind = f"multipart/form-data; boundary={boundary}"
        return self.call("POST", "/documents/upload", body.encode(), kind)["document"]["id"]

    def upload_all(self, collection, files):
        """Uploads files, each a name and a text, and waits until they are worked on. Their ids, in order."""
        self.call("PUT", f"/collections/{collection}", {})
        ids = []
        with concurrent.futures.ThreadPoolExecutor(UPLOADS) as pool:
            for id in pool.map(lambda file: self.upload(collection, *file), files):
                ids.append(id)
                if len(ids) % 200 == 0 or len(ids) == len(files):
                    progress(f"{collection}: uploaded {len(ids)} of {len(files)}")
        self.wait(collection)
        return ids

    def wait(self, collection):
        last = None
        while True:
            counts = self.statuses(collection)
            done = counts["ready"] + counts["failed"]
            if done != last:
                progress(f"{collection}: ready {counts['ready']} of {sum(counts.values())}, failed {counts['failed']}")
                last = done
            if done == sum(counts.values()):
                return
            time.sleep(5)

    def statuses(self, collection):
        """The number of documents of a collection by status."""
        counts, cursor = collections.Counter(), ""
        while cursor is not None:
            path = f"/documents?collection={collection}&limit=100"
            page = self.call("GET", f"{path}&cursor={cursor}" if cursor else path)
            counts.update(document["status"] for document in page["data"])
            cursor = page["next_cursor"]
        return counts

    def search(self, query, collection, **options):
        """What is found, best first."""
        return self.call("POST", "/search", {"query": query, "collections": [collection], **options})["data"]

    def search_all(self, what, queries, collection, **options):
        """What is found for each query."""
        found = []
        with concurrent.futures.ThreadPoolExecutor(SEARCHES) as pool:
            for data in pool.map(lambda query: self.search(query, collection, **options), queries):
                found.append(data)
                if len(found) % 100 == 0 or len(found) == len(queries):
                    progress(f"{what}: searched {len(found)} of {len(queries)}")
        return found


def progress(text):
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<70}", end=end, file=sys.stderr, flush=True)
