// Swagger UI, which the page has loaded before this, over the description that the page names.

const place = document.querySelector('#operations');

globalThis.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.description,
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
});
