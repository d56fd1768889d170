/** The API's reference: Swagger UI over our own document, all of it from this server. */
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "../reference/reference.css";

const app = document.getElementById("app");
if (app)
  SwaggerUI({
    url: "/api/v1/openapi.json",
    domNode: app,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    // A key is typed anew in each window: it is a secret.
    persistAuthorization: false,
    // Swagger's own service on the web would be shown the document.
    validatorUrl: null,
  });
