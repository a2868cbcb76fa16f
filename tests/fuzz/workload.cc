// YCSB's property files.
#include "ycsb/workload.h"

#include "target.h"

namespace scalio::fuzz {

void run(ByteView input) {
  Result<ycsb::Workload> w = ycsb::parse_workload("fuzzed", as_string(input));
  require(w.ok() || !w.status().message().empty());
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (const std::string_view text :
       {"recordcount=1000\noperationcount=1000\nworkload=site.ycsb.workloads."
        "CoreWorkload\nreadproportion=0."
        "5\n"
        "updateproportion=0.5\nrequestdistribution=zipfian\nzipfianconstant=0.99\n",
        "# a comment\nreadproportion: 0.95\ninsertproportion "
        "0.05\nrequestdistribution=latest\nfieldcount=1\n"
        "fieldlength=64\n",
        "scanproportion=0.95\n", "readmodifywriteproportion=0.5\\\n5\n"}) {
    const ByteView bytes = as_bytes(text);
    out.emplace_back(bytes.begin(), bytes.end());
  }
  return out;
}

}  // namespace scalio::fuzz
