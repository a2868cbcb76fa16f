#include "cli/json_bytes.h"

#include <sodium.h>

#include "base/json.h"

namespace scalio::cli {

void add_bytes(nlohmann::ordered_json& json, const std::string& name, std::string_view bytes) {
  nlohmann::json text = bytes;
  if (parse_json(json_text(text)) == text) {
    json[name] = bytes;
    return;
  }
  std::string base64(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(base64.data(), base64.size(),
                    reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  base64.pop_back();  // the zero at its end
  json[name + "_base64"] = base64;
}

}  // namespace scalio::cli
